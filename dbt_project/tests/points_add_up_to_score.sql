-- The points of a customer's indicators are its score, to the last decimal.
select
    tiers.customer_id,
    tiers.scheme
from {{ ref('fct_customer_tiers') }} as tiers
inner join (
    select
        customer_id,
        scheme,
        as_of_date,
        sum(points) as points
    from {{ ref('fct_indicator_scores') }}
    group by customer_id, scheme, as_of_date
) as scores
    on
        tiers.customer_id = scores.customer_id
        and tiers.scheme = scores.scheme
        and tiers.as_of_date = scores.as_of_date
where tiers.score is not null and tiers.score <> scores.points
