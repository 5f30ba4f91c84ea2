"""Everything under metrics/ as one page that opens anywhere: tables, pictures, where they come from."""
