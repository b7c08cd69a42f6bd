"""Which responses an analysis reads: of which units, to which images, and are they all there?"""
