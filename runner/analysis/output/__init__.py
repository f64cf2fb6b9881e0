"""What `bakeoff analyse` writes: pages, findings, figures, tables, frames and prompts."""
