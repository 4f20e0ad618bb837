"""Sound files to blocks of samples: what a file is, who decodes it, which channels count."""
