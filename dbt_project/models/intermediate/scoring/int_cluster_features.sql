-- What k-means compares: per customer and indicator of a clustered dimension the value, empty where the indicator is
-- left out, as many groups as the scheme has tiers, and the group that the customer had on the last accepted night. A
-- customer that lacks a needed indicator is not grouped.
{{ compiled(
    'cluster_features',
    scores=ref('int_scores_wide'),
    as_of_dates=ref('int_as_of_dates'),
    accepted=source('state', 'customer_tiers')
) }}
