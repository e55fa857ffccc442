"""The one gate for what strangers wrote: text, weights and descriptions of networks."""
