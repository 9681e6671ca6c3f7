"""What every part of ERIP stands on. It knows no workflow words, and imports nothing above it."""
