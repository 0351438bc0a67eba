"""From images to features: the networks whose opinion the measures ask."""
