"""From a crawl folder to a published release of the directory."""
