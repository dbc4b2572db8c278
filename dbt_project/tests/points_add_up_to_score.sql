-- The points of a customer's indicators are its score, to the last decimal.
with tiers as (

    select * from {{ ref('fct_customer_tiers') }}

),

sums as (

    select
        customer_id,
        scheme,
        as_of_date,
        sum(points) as points
    from {{ ref('fct_indicator_scores') }}
    group by customer_id, scheme, as_of_date

)

select
    tiers.customer_id,
    tiers.scheme
from tiers
inner join sums
    on
        tiers.customer_id = sums.customer_id
        and tiers.scheme = sums.scheme
        and tiers.as_of_date = sums.as_of_date
where tiers.score is not null and tiers.score <> sums.points
