"""Embeddings and estimates of edgeemo as a step of a scikit-learn pipeline.

python emotion_features.py FOLDER      a folder that `edgeemo evaluate` reads, with categories
"""

import sys

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import edgeemo
from edgeemo.compress.data import open_dataset
from edgeemo.evaluation.metrics import uar


class EmotionFeatures(TransformerMixin, BaseEstimator):
    """Clips (float32, mono, 16 kHz) to rows of numbers.

    Args:
        model: name or file of a model.
        estimates: add arousal, dominance, valence and the classes to the embedding.
    """

    def __init__(self, model="wav2small-stream", estimates=True):
        self.model = model
        self.estimates = estimates

    def fit(self, X, y=None):
        self.session_ = edgeemo.load(self.model, "onnx")
        return self

    def transform(self, X):
        rows = [self.session_.embed(clip, gate=None) for clip in X]
        if self.estimates:
            found = self.session_.predict_batch(X, gate=None)
            own = [[e.arousal, e.dominance, e.valence, *e.classes.values()] for e in found]
            rows = np.hstack([rows, own])
        return np.asarray(rows, np.float32)


def main(folder):
    clips = [clip for clip in open_dataset(folder) if clip.emotion]
    # The model is not trained here, so its features are computed once, outside the folds.
    features = EmotionFeatures().fit_transform([clip.samples() for clip in clips])
    truth = [clip.emotion for clip in clips]
    people = [clip.group for clip in clips]
    folds = GroupKFold(min(5, len(set(people))))
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    guess = cross_val_predict(classifier, features, truth, groups=people, cv=folds)
    print(f"{len(clips)} clips of {len(set(people))} people, UAR {uar(list(guess), truth):.3f}")


if __name__ == "__main__":
    main(sys.argv[1])
