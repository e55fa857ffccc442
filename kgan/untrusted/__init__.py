"""The one gate for untrusted files: text, weights and descriptions of networks."""
