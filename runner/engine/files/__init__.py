"""Files of containers and volumes: what is read out of them is never unpacked."""
