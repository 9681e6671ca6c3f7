"""Questionnaires: which questions are asked, and what answers amount to."""
