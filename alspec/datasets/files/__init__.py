"""Trees of images and masks on disk."""
