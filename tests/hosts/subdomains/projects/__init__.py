"""What each customer has in a schema of their own."""
