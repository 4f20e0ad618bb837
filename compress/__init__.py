"""Distillation: data, teachers, pseudo-labels, students, training and evaluation.

Imported as `edgeemo.compress`; needs the extra "train".
"""
