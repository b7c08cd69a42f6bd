"""Networks: their architectures, weights, layers and how an image becomes their input."""
