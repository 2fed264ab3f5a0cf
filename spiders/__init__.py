"""Fetch and read: from the register of councils to what their pages carry."""
