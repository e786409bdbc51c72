//! Crashes, damage and a changed policy: a node keeps its permanent release and its way back.
