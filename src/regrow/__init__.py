"""regrow: grow Vision Transformers instead of training them from nothing, and measure what it saves."""
