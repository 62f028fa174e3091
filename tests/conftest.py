"""Its place puts this folder on the import path, so that `made_study` can be imported anywhere."""
