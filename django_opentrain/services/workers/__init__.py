"""What all background work needs: wake-ups, locks and leases, retries, heartbeats, failures."""
