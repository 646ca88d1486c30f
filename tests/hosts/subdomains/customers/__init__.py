"""What all customers share: who they are, and under which hosts."""
