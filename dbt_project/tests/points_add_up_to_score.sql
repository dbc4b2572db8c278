-- The points of a customer's indicators are its score, to the last decimal (schemes whose score is a sum).
with totals as (

    select * from {{ ref('int_scheme_totals') }}

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
    totals.customer_id,
    totals.scheme
from totals
inner join sums
    on
        totals.customer_id = sums.customer_id
        and totals.scheme = sums.scheme
        and totals.as_of_date = sums.as_of_date
where
    totals.kind in ('weighted', 'bands', 'rank')
    and totals.score is not null
    and totals.score <> sums.points
