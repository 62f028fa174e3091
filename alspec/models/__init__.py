"""MMSegmentation: models, s4GAN, MC-dropout; nothing else of alspec imports it."""
