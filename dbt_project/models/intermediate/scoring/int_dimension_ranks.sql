-- Level by rank: the best come first, ties by customer id; a level ends at ceil(customers x cumulative share).
-- Customers without a value are not ranked (pending).
with scores as (

    select * from {{ ref('int_indicator_scores') }}

),

as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

ranks as (

    select * from {{ source('rules', 'ranks') }}

),

ranked as (

    select distinct
        as_of_dates.as_of_date,
        as_of_dates.rules_version,
        ranks.scheme,
        ranks.dimension
    from as_of_dates
    inner join ranks
        on as_of_dates.rules_version = ranks.rules_version

),

positions as (

    select
        scores.customer_id,
        scores.scheme,
        scores.dimension,
        scores.as_of_date,
        ranked.rules_version,
        row_number() over (
            partition by scores.scheme, scores.dimension, scores.as_of_date
            order by scores.score desc, scores.customer_id asc
        ) as position,
        count(*) over (partition by scores.scheme, scores.dimension, scores.as_of_date) as ranked_customers
    from scores
    inner join ranked
        on
            scores.scheme = ranked.scheme
            and scores.dimension = ranked.dimension
            and scores.as_of_date = ranked.as_of_date
    where scores.score is not null

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
