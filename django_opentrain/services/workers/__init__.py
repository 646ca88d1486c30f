"""What all background work needs: waking it, locks and leases, retries, signs of life, failures."""
