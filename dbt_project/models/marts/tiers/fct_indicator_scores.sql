-- Why a customer has its score: per scheme and indicator the raw value, its score by bands or levels, the weight
-- and the points. In a dimension measured raw or log the score is the value itself. A missing value follows its
-- policy: pending (the customer cannot be scored), renormalise (the other weights share its part) or impute (a set
-- score). Points of a weighted scheme add up to its score exactly (decimals); clusters compare and have no points.
with members as (

    select * from {{ ref('int_scheme_members') }}

),

indicator_values as (

    select * from {{ ref('int_indicator_values') }}

),

dimensions as (

    select * from {{ source('rules', 'scheme_dimensions') }}

),

scheme_indicators as (

    select * from {{ source('rules', 'scheme_indicators') }}

),

score_bands as (

    select * from {{ source('rules', 'score_bands') }}

),

level_scores as (

    select * from {{ source('rules', 'level_scores') }}

),

chosen as (

    select
        members.customer_id,
        members.scheme,
        scheme_indicators.dimension,
        scheme_indicators.indicator,
        members.as_of_date,
        members.rules_version,
        dimensions.measure,
        dimensions.level_by,
        scheme_indicators.missing,
        scheme_indicators.missing_score,
        indicator_values.raw_value,
        indicator_values.raw_level,
        scheme_indicators.weight as weight_in_dimension,
        cast(dimensions.weight * scheme_indicators.weight as decimal(14, 12)) as weight
    from members
    inner join scheme_indicators
        on
            members.rules_version = scheme_indicators.rules_version
            and members.scheme = scheme_indicators.scheme
    inner join dimensions
        on
            scheme_indicators.rules_version = dimensions.rules_version
            and scheme_indicators.scheme = dimensions.scheme
            and scheme_indicators.dimension = dimensions.dimension
    inner join indicator_values
        on
            members.customer_id = indicator_values.customer_id
            and members.as_of_date = indicator_values.as_of_date
            and scheme_indicators.indicator = indicator_values.indicator

),

scored as (

    select
        chosen.customer_id,
        chosen.scheme,
        chosen.dimension,
        chosen.indicator,
        chosen.as_of_date,
        chosen.raw_value,
        chosen.raw_level,
        chosen.level_by,
        chosen.weight_in_dimension,
        chosen.weight,
        case
            when chosen.measure in ('raw', 'log') then chosen.raw_value
            else coalesce(score_bands.score, level_scores.score)
        end as measured_score,
        case when chosen.missing = 'impute' then chosen.missing_score end as imputed_score,
        chosen.missing = 'renormalise' as may_be_left_out
    from chosen
    left join score_bands
        on
            chosen.rules_version = score_bands.rules_version
            and chosen.scheme = score_bands.scheme
            and chosen.indicator = score_bands.indicator
            and {{ in_band('chosen.raw_value', 'score_bands') }}
            and chosen.raw_value is not null
            and chosen.measure = 'score'
    left join level_scores
        on
            chosen.rules_version = level_scores.rules_version
            and chosen.scheme = level_scores.scheme
            and chosen.indicator = level_scores.indicator
            and chosen.raw_level = level_scores.level

),

judged as (

    select
        customer_id,
        scheme,
        dimension,
        indicator,
        as_of_date,
        raw_value,
        raw_level,
        level_by,
        weight_in_dimension,
        weight,
        cast(coalesce(measured_score, imputed_score) as decimal(24, 6)) as score,
        case
            when measured_score is not null then 'measured'
            when imputed_score is not null then 'imputed'
            when may_be_left_out then 'left_out'
            else 'pending'
        end as status
    from scored

),

counted as (

    select
        customer_id,
        scheme,
        as_of_date,
        sum(case when status in ('measured', 'imputed') then weight else 0 end) as counted_weight,
        sum(score * weight) as weighted_score
    from judged
    group by customer_id, scheme, as_of_date

),

shared as (

    select
        judged.customer_id,
        judged.scheme,
        judged.dimension,
        judged.indicator,
        judged.as_of_date,
        judged.raw_value,
        judged.raw_level,
        judged.score,
        judged.level_by,
        judged.weight_in_dimension,
        judged.weight,
        judged.status,
        counted.counted_weight,
        cast(judged.score * judged.weight as decimal(30, 12)) as full_points,
        cast(
            round(cast(judged.score * judged.weight as double) / cast(counted.counted_weight as double), 6)
            as decimal(30, 12)
        ) as shared_points,
        cast(
            round(cast(counted.weighted_score as double) / cast(counted.counted_weight as double), 6)
            as decimal(30, 12)
        ) as shared_total,
        row_number() over (
            partition by judged.customer_id, judged.scheme, judged.as_of_date
            order by case when judged.score is null then 1 else 0 end, judged.weight desc, judged.indicator asc
        ) as share_order
    from judged
    inner join counted
        on
            judged.customer_id = counted.customer_id
            and judged.scheme = counted.scheme
            and judged.as_of_date = counted.as_of_date

)

select
    customer_id,
    scheme,
    dimension,
    indicator,
    as_of_date,
    raw_value,
    raw_level,
    score,
    weight_in_dimension,
    weight,
    case
        when level_by = 'cluster' then null
        when counted_weight = 1 then full_points
        -- The heaviest indicator takes what rounding leaves over, so that the points add up to the rounded total.
        when share_order = 1
            then cast(
                shared_total + shared_points
                - sum(shared_points) over (partition by customer_id, scheme, as_of_date) as decimal(30, 12)
            )
        else shared_points
    end as points,
    status
from shared
