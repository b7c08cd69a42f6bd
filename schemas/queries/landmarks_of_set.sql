-- The landmarks of the images of the stimulus set $stimulus_set that have some, one row per image
-- and point.
SELECT
    image_sha256,
    point,
    x,
    y
FROM landmarks
SEMI JOIN stimuli
    ON
        landmarks.image_sha256 = stimuli.image_sha256
        AND stimuli.stimulus_set = $stimulus_set
ORDER BY image_sha256, point;
