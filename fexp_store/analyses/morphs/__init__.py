"""Are morphs between expressions perceived as one or the other?"""
