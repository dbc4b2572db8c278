-- Score of a customer in a scheme. Weighted: the sum of the points. Quadrant: the weighted mean of its dimensions'
-- percent ranks (raw) or scores, which orders customers inside a quadrant. One raw dimension: the value itself.
-- Axes, rules and clusters have none. Coverage is the share of the weight that was really measured.
with scores as (

    select * from {{ ref('int_indicator_scores') }}

),

members as (

    select * from {{ ref('int_scheme_members') }}

),

dimension_scores as (

    select * from {{ ref('int_dimension_scores') }}

),

as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

schemes as (

    select * from {{ source('rules', 'schemes') }}

),

dimensions as (

    select * from {{ source('rules', 'scheme_dimensions') }}

),

points as (

    select
        customer_id,
        scheme,
        as_of_date,
        sum(points) as points,
        max(case when status = 'pending' then 1 else 0 end) as has_pending,
        sum(case when status in ('measured', 'imputed') then 1 else 0 end) as counted_indicators,
        sum(case when status = 'measured' then weight else 0 end) / sum(weight) as coverage
    from scores
    group by customer_id, scheme, as_of_date

),

placed as (

    select
        dimension_scores.customer_id,
        dimension_scores.scheme,
        dimension_scores.as_of_date,
        dimension_scores.weight,
        case
            when dimensions.measure = 'score' then cast(dimension_scores.score as double)
            else 100 * percent_rank() over (
                partition by dimension_scores.scheme, dimension_scores.dimension, dimension_scores.as_of_date
                order by dimension_scores.score
            )
        end as place
    from dimension_scores
    inner join as_of_dates
        on dimension_scores.as_of_date = as_of_dates.as_of_date
    inner join schemes
        on
            as_of_dates.rules_version = schemes.rules_version
            and dimension_scores.scheme = schemes.scheme
    inner join dimensions
        on
            as_of_dates.rules_version = dimensions.rules_version
            and dimension_scores.scheme = dimensions.scheme
            and dimension_scores.dimension = dimensions.dimension
    where
        schemes.kind = 'quadrant'
        and dimension_scores.score is not null
        and dimension_scores.level is not null

),

places as (

    select
        customer_id,
        scheme,
        as_of_date,
        -- A customer that lacks one of the dimensions has no quadrant, hence no place in one.
        case when sum(weight) = 1 then cast(round(sum(place * weight), 6) as decimal(30, 12)) end as place
    from placed
    group by customer_id, scheme, as_of_date

)

select
    members.customer_id,
    members.scheme,
    members.as_of_date,
    members.kind,
    members.rules_version,
    cast(
        case
            when points.has_pending = 1 or points.counted_indicators = 0 then null
            when members.kind in ('weighted', 'bands', 'rank') then points.points
            when members.kind = 'quadrant' then places.place
        end as decimal(30, 12)
    ) as score,
    cast(points.coverage as decimal(7, 6)) as coverage
from members
inner join points
    on
        members.customer_id = points.customer_id
        and members.scheme = points.scheme
        and members.as_of_date = points.as_of_date
left join places
    on
        members.customer_id = places.customer_id
        and members.scheme = places.scheme
        and members.as_of_date = places.as_of_date
