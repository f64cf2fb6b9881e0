"""The images: what each is made of, how it is built, and what is in it."""
