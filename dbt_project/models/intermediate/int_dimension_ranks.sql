-- Level by rank: the best come first, ties by customer id; a level ends at ceil(customers x cumulative share).
-- Customers without a value are not ranked (pending).
with scores as (

    select * from {{ ref('fct_indicator_scores') }}

),

members as (

    select * from {{ ref('int_scheme_members') }}

),

ranks as (

    select * from {{ source('rules', 'ranks') }}

),

positions as (

    select
        scores.customer_id,
        scores.scheme,
        scores.dimension,
        scores.as_of_date,
        members.rules_version,
        row_number() over (
            partition by scores.scheme, scores.dimension, scores.as_of_date
            order by scores.score desc, scores.customer_id asc
        ) as position,
        count(*) over (partition by scores.scheme, scores.dimension, scores.as_of_date) as ranked_customers
    from scores
    inner join members
        on
            scores.customer_id = members.customer_id
            and scores.scheme = members.scheme
            and scores.as_of_date = members.as_of_date
    where
        scores.score is not null
        and scores.scheme || '/' || scores.dimension in (
            select ranks.scheme || '/' || ranks.dimension from ranks
        )

),

reached as (

    select
        positions.customer_id,
        positions.scheme,
        positions.dimension,
        positions.as_of_date,
        positions.position,
        ranks.tier as level,
        row_number() over (
            partition by positions.customer_id, positions.scheme, positions.dimension, positions.as_of_date
            order by ranks.cumulative_share
        ) as level_order
    from positions
    inner join ranks
        on
            positions.rules_version = ranks.rules_version
            and positions.scheme = ranks.scheme
            and positions.dimension = ranks.dimension
            and ceil(positions.ranked_customers * ranks.cumulative_share) >= positions.position

)

select
    customer_id,
    scheme,
    dimension,
    as_of_date,
    position,
    level
from reached
where level_order = 1
