"""What the host and every image share: copied into each image, standard library only."""
