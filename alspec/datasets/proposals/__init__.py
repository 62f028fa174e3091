"""What a folder of images and masks seems to be: a study's data, a project's, an official tree."""
