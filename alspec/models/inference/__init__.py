"""What a trained segmentor says of images."""
