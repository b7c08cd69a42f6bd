"""Can expressions be read from units, and are they confused as people confuse them?"""
