"""What a contestant handed in: made into an order, and kept until its trial has an end."""
