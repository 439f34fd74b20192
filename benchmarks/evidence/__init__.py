"""The evidence: what is trained for docs/results.md, block by block, and the page that is made from the blocks."""
