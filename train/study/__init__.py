"""The paper's comparison: None, Mixup, Cutout and CutMix trained alike, evaluated alike, in one report."""
