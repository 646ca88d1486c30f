"""What the pages say: each turns rows into words for the customer."""
