-- One row per facial landmark of an image; join it with stimuli USING (image_sha256).
CREATE VIEW landmarks AS
SELECT
    image_sha256,
    point,
    any_value(x) AS x,
    any_value(y) AS y
FROM stored.landmarks
GROUP BY image_sha256, point
ORDER BY image_sha256, point;
