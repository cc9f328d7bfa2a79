"""A methods paragraph that is ready to cite, and its references."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tessera.labels import FEATURE, one_line
from tessera.validation import METRIC_NAMES, NOT_A_SAMPLE, left_out_at_once

from ._accuracy import of_classes, totals, units_of, untested
from .values import (
    cell,
    estimated,
    figures,
    hectares,
    kilometres,
    number,
    part,
    percent,
    rows,
    short,
    spread,
    whole,
    with_interval,
    years_text,
)

if TYPE_CHECKING:
    from .asked import ReportedHead

LEARNERS = {
    "linear": "linear model (logistic or ridge regression)",
    "prototype": "nearest-prototype classifier",
    "knn": "k-nearest-neighbours model",
    "forest": "random forest",
    "boosting": "gradient-boosted trees",
    "mlp": "multilayer perceptron",
    "unet": "U-Net",
}
REFERENCES = {
    "blocks": "Roberts, D. R., et al. (2017). Cross-validation strategies for data with temporal, spatial, "
    "hierarchical, or phylogenetic structure. Ecography 40, 913-929. doi:10.1111/ecog.02881",
    "bootstrap": "Field, C. A., and Welsh, A. H. (2007). Bootstrapping clustered data. Journal of the Royal "
    "Statistical Society B 69, 369-390. doi:10.1111/j.1467-9868.2007.00593.x",
    "jackknife": "Efron, B., and Stein, C. (1981). The jackknife estimate of variance. The Annals of Statistics 9, "
    "586-596. doi:10.1214/aos/1176345462",
    "calibration": "Guo, C., Pleiss, G., Sun, Y., and Weinberger, K. Q. (2017). On calibration of modern neural "
    "networks. ICML. arXiv:1706.04599",
    "isotonic": "Niculescu-Mizil, A., and Caruana, R. (2005). Predicting good probabilities with supervised learning. "
    "ICML. doi:10.1145/1102351.1102430",
    "conformal": "Lee, Y., Barber, R. F., and Willett, R. (2023). Distribution-free inference with hierarchical data. "
    "arXiv:2306.06342",
    "sets": "Sadinle, M., Lei, J., and Wasserman, L. (2019). Least ambiguous set-valued classifiers with bounded error "
    "levels. Journal of the American Statistical Association 114, 223-234. doi:10.1080/01621459.2017.1395341",
    "applicability": "Meyer, H., and Pebesma, E. (2021). Predicting into unknown space? Estimating the area of "
    "applicability of spatial prediction models. Methods in Ecology and Evolution 12, 1620-1633. "
    "doi:10.1111/2041-210X.13650",
    "areas": "Olofsson, P., Foody, G. M., Herold, M., Stehman, S. V., Woodcock, C. E., and Wulder, M. A. (2014). Good "
    "practices for estimating area and assessing accuracy of land change. Remote Sensing of Environment 148, 42-57. "
    "doi:10.1016/j.rse.2014.02.015",
}
_MOST_CLASSES = 20
Part = tuple[str, list[str]]
"""A sentence, and what it cites; an empty one where there is nothing to say."""


def methods_of(head: ReportedHead, areas: dict[str, Any] | None, beyond: float | None = None) -> tuple[str, list[str]]:
    """Sentences with the numbers of this head, and the references that they name; `beyond`: the share of the map that
    is unlike all labels."""
    said, cited = [_learnt(head)], []
    for found, names in (_tested(head), _calibrated(head), _held(head), _reach(head, beyond), _areas(areas)):
        if found:
            said.append(found)
            cited += names
    return " ".join(said), [REFERENCES[key] for key in REFERENCES if key in cited]


def _learnt(head: ReportedHead) -> str:
    metrics = head.metrics
    software = head.provenance.get("software")
    program = one_line(software, 40) if isinstance(software, str) else "tessera"
    labels, groups = whole(metrics.get("labels")), whole(metrics.get("groups"))
    amount = f"{labels:,} labels" if labels is not None else "labels"
    amount += f" from {groups:,} groups (polygons, fields or sites)" if groups is not None and groups != labels else ""
    learner = LEARNERS.get(head.head, one_line(head.head, 40))
    if head.classes:
        counts = part(metrics, "per_class")
        listed = [f"{one_line(name, 40)} {whole(part(counts, name).get('labels')) or 0}" for name in head.classes]
        shown = "; ".join(listed[:_MOST_CLASSES]) + ("; and others" if len(listed) > _MOST_CLASSES else "")
        what = f"{len(head.classes)} classes ({shown})"
    else:
        what = f"numbers of {one_line(head.column, 80)}"
    weights = {"even": "; classes weighed the same", "occur": "; classes weighed as often as they occurred"}
    weighed = weights.get(str(metrics.get("weights")), "") if head.classes else ""
    chosen = part(metrics, "tuning", "chosen")
    settings = ", ".join(f"{one_line(key, 40)} = {one_line(short(value), 40)}" for key, value in chosen.items())
    tuned = (
        f" Its settings ({settings}) were chosen by grouped cross-validation inside the training folds."
        if settings
        else ""
    )
    about = f"SHA-256 {head.model.sha256[:16]}; {head.dims} dimensions a 10 m pixel; {years_text(metrics, head.year)}"
    model = f"{one_line(head.model.name, 80)} ({about})"
    return (
        f"{one_line(head.column, 80)} was mapped with {program} from satellite embeddings of the model {model}. "
        f"A {learner} learnt {what} from {amount}{weighed}.{tuned}"
    )


def _tested(head: ReportedHead) -> Part:
    metrics, known = head.metrics, totals(head)
    if not known:
        return "", []
    ends = part(metrics, "intervals")
    listed = ", ".join(
        f"{METRIC_NAMES[key]} {spread(with_interval(metrics[key], ends.get(key)), show)}{_of(head, key)}"
        for key, show in known
        if key not in ("auc", "brier")
    )
    how, cites = _split_text(metrics)
    said = f"{how}: {listed}"
    units = whole(metrics.get("units"))
    drawn = f"{units:,} {units_of(metrics)}" if units else units_of(metrics)
    # intervals leave out blocks of land, whatever is held out
    blocks = whole(part(metrics, "per_unit").get("units"))
    left_out = left_out_at_once(blocks) if blocks else f"one of {drawn}"
    # heads of earlier releases have no rows of folds
    way = "jackknife" if metrics.get("per_fold") else "bootstrap"
    ways = {
        "jackknife": f"; 95 % intervals leave out {left_out} at a time (jackknife, Efron and Stein 1981).",
        "bootstrap": f"; 95 % intervals are from a bootstrap over {drawn} (Field and Welsh 2007).",
    }
    said += (ways[way] if ends else ".") + _not_scored(head)
    key, show = known[0]
    beside = number(part(metrics, "random").get(key))
    if beside is not None:
        said += (
            " A random split of the same labels, which tests on neighbours of what was learnt, would have shown "
            f"{METRIC_NAMES[key]} {show(beside)}."
        )
    return said, [*cites, *([way] if ends else [])]


def _not_scored(head: ReportedHead) -> str:
    """Classes that the scores leave out, and labels that could only be wrong."""
    said, lost = "", untested(head)
    if lost:
        listed = ", ".join(one_line(name, 40) for name in lost[:_MOST_CLASSES])
        more = f" and {len(lost) - _MOST_CLASSES} more" if len(lost) > _MOST_CLASSES else ""
        what, them = ("1 class", "it") if len(lost) == 1 else (f"{len(lost)} classes", "them")
        said += f" {what} could not be tested, so no score covers {them}: {listed}{more}."
    unmet = part(head.metrics, "unmet")
    wrong = whole(unmet.get("labels"))
    if wrong:
        counts = {name: whole(part(unmet, "classes").get(name)) for name in head.classes}
        listed = ", ".join(f"{one_line(name, 40)} {many}" for name, many in counts.items() if many)
        verb = "counts" if wrong == 1 else "count"
        said += (
            f" {wrong:,} tested label{'s' * (wrong != 1)} {verb} as wrong, as no label of the class was learnt from in "
            f"that fold ({listed})."
        )
    return said


def _of(head: ReportedHead, key: str) -> str:
    told = of_classes(head, key).removeprefix(", ")
    return f" over {told}" if told else ""


def _hectares(area: Any) -> str:
    """An estimated area: "65.0 (60.1 to 69.9) ha", "65.0 ha (no interval)"."""
    one = cell(area)
    return estimated(one, hectares, " ha")


def _split_text(metrics: dict[str, Any]) -> Part:
    """How the head was tested, up to the scores, and what that cites."""
    split, folds = metrics.get("split"), whole(metrics.get("folds"))
    block, buffer = number(metrics.get("block_km")), number(metrics.get("buffer_km"))
    around = f"; labels within {kilometres(buffer)} km of a tested one were not learnt from" if buffer else ""
    crossed = f"It was tested by cross-validation with {folds or 'several'} folds"
    by = metrics.get("grouped_by")
    groups = f" (column {one_line(by, 40)})" if isinstance(by, str) and by not in ("", FEATURE) else ""
    if split == "random":
        return f"{crossed} of single labels drawn at random, so that neighbours of tested labels were learnt from", []
    if split == "given":
        tested = sum(whole(row.get("tested")) or 0 for row in rows(metrics.get("per_fold")))
        which = f"the {tested:,} labels" if tested else "the labels"
        return f"It was tested once, on {which} that the given split holds out{around}", []
    cites = ["blocks"]
    if split == "year":
        side = f" blocks of {kilometres(block)} km" if block else " blocks of land"
        return (
            f"The labels of each year were predicted by a model that had learnt from other years and other{side} only"
            f"{around} (Roberts et al. 2017)",
            cites,
        )
    if split == "region":
        return f"{crossed} that held out whole regions{around} (Roberts et al. 2017)", cites
    if split == "group":
        return f"{crossed} that held out whole groups{groups}{around} (Roberts et al. 2017)", cites
    side = f" of {kilometres(block)} km" if block else ""
    return f"{crossed} that held out whole {units_of(metrics)}{side}{around} (Roberts et al. 2017)", cites


def _calibrated(head: ReportedHead) -> Part:
    found = part(head.metrics, "calibration")
    error, after = cell(found.get("error")), cell(found.get("error_calibrated"))
    if error[0] is None:
        return "", []
    before, cited = f"expected calibration error was {estimated(error)}", ["calibration"]
    if found.get("method") == "temperature":
        how = f"temperature scaling (T = {number(found.get('temperature')) or 1:.2f})"
    elif found.get("method") == "isotonic":
        how, cited = (
            "isotonic regression for each class (Niculescu-Mizil and Caruana 2005)",
            ["calibration", "isotonic"],
        )
    else:
        why = found.get("why")
        reason = f", as {one_line(why, 300)}" if isinstance(why, str) and why else ""
        return f"Probabilities were not calibrated{reason}; their {before} (Guo et al. 2017).", cited
    return (
        f"Probabilities were calibrated by {how} on predictions out of fold; the {before} before and "
        f"{estimated(after)} after (Guo et al. 2017).",
        cited,
    )


def _held(head: ReportedHead) -> Part:
    found = part(head.metrics, "conformal")
    level, coverage = number(found.get("level")), cell(found.get("coverage"))
    if level is None or coverage[0] is None:
        return "", []
    what = "prediction sets (Sadinle et al. 2019)" if head.classes else "prediction intervals"
    size = number(found.get("size"))
    mean = ""
    if size is not None:
        mean = f", with {size:.2f} classes on average" if head.classes else f", {figures(size)} wide on average"
    return (
        f"Conformal {what} at {percent(level)} counted each block of land once (Lee et al. 2023); on folds that they "
        f"were not fitted on they held {spread(coverage, percent)} of labels{mean}.",
        ["conformal", "sets"] if head.classes else ["conformal"],
    )


def _reach(head: ReportedHead, beyond: float | None) -> Part:
    found = part(head.metrics, "applicability")
    inside = number(found.get("inside"))
    if not found:
        return "", []
    held = f"; it holds {percent(inside)} of labels, compared with those of other folds" if inside is not None else ""
    return (
        "Where the head may be used was judged by the dissimilarity of vectors to the labelled ones and its threshold "
        f"(area of applicability, Meyer and Pebesma 2021){held}."
        + (f" {percent(beyond)} of the map lies beyond it, where no score holds." if beyond is not None else ""),
        ["applicability"],
    )


def _areas(areas: dict[str, Any] | None) -> Part:
    if areas is None:
        return "", []
    if areas["design"] is None:
        why = ", since the labels are no probability sample" if NOT_A_SAMPLE in areas["notes"] else ""
        return f"Areas are pixel counts of the map, without intervals{why}.", []
    listed = "; ".join(
        f"{one_line(row['name'], 40)} {_hectares(row['area'])}" for row in areas["classes"][:_MOST_CLASSES]
    )
    # a sample that was drawn on the finished map has a source
    of = "" if areas.get("source") else ", compared with predictions out of fold in place of the map,"
    return (
        f"Areas were estimated from {areas['labels']:,} reference labels{of} by the stratified estimator (Olofsson et "
        f"al. 2014): {listed}.",
        ["areas"],
    )
