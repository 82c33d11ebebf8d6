"""What is randomised, from which distribution, and when."""
