"""What several scripts share: flags as data, and pictures of training."""
