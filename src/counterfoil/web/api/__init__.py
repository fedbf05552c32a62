"""`/api/v1`: what the page does, for other programs. A token is the way in; bodies and answers are JSON."""
