"""The customer's pages, the consent flow, and the receiver of webhooks."""
