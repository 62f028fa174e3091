"""Makes what tests need: specs, studies, images, trees, disks."""
