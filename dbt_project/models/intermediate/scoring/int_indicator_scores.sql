-- Why a customer has its score: per scheme and indicator the raw value, its score by bands or levels, the weight
-- and the points. In a dimension measured raw or log the score is the value itself. A missing value follows its
-- policy: pending (the customer cannot be scored), renormalise (its weight is spread over the others) or impute (a set
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

    select
        rules_version,
        scheme,
        indicator,
        score,
        {{ first_in_band() }} as first_value,
        {{ last_in_band() }} as last_value
    from {{ source('rules', 'score_bands') }}

),

level_scores as (

    select * from {{ source('rules', 'level_scores') }}

),

-- Ordered once per scheme, on the few rows of the rules; the rows of all customers then need no window.
uses as (

    select
        scheme_indicators.rules_version,
        scheme_indicators.scheme,
        scheme_indicators.dimension,
        scheme_indicators.indicator,
        dimensions.measure,
        dimensions.level_by,
        case when dimensions.measure = 'score' then scheme_indicators.indicator end as banded_indicator,
        scheme_indicators.missing,
        scheme_indicators.missing_score,
        scheme_indicators.weight as weight_in_dimension,
        cast(dimensions.weight * scheme_indicators.weight as decimal(14, 12)) as weight,
        -- Shortening products of 18 decimals is slow, and nearly every weight is exact in 6: those have 12.
        case
            when
                dimensions.weight * scheme_indicators.weight
                = cast(dimensions.weight * scheme_indicators.weight as decimal(7, 6))
                then cast(dimensions.weight * scheme_indicators.weight as decimal(7, 6))
        end as short_weight,
        row_number() over (
            partition by scheme_indicators.rules_version, scheme_indicators.scheme
            order by
                dimensions.weight * scheme_indicators.weight desc,
                scheme_indicators.indicator asc,
                scheme_indicators.dimension asc
        ) as weight_order
    from scheme_indicators
    inner join dimensions
        on
            scheme_indicators.rules_version = dimensions.rules_version
            and scheme_indicators.scheme = dimensions.scheme
            and scheme_indicators.dimension = dimensions.dimension

),

chosen as (

    select
        members.customer_id,
        members.scheme,
        uses.dimension,
        uses.indicator,
        members.as_of_date,
        members.rules_version,
        uses.measure,
        uses.level_by,
        uses.banded_indicator,
        uses.missing,
        uses.missing_score,
        indicator_values.raw_value,
        indicator_values.raw_level,
        uses.weight_in_dimension,
        uses.weight,
        uses.short_weight,
        uses.weight_order
    from members
    inner join uses
        on
            members.rules_version = uses.rules_version
            and members.scheme = uses.scheme
    inner join indicator_values
        on
            members.customer_id = indicator_values.customer_id
            and members.as_of_date = indicator_values.as_of_date
            and uses.indicator = indicator_values.indicator

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
        chosen.short_weight,
        chosen.weight_order,
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
            and chosen.banded_indicator = score_bands.indicator
            and chosen.raw_value >= score_bands.first_value
            and chosen.raw_value <= score_bands.last_value
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
        short_weight,
        weight_order,
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
        sum(case when score is not null then weight else 0 end) as counted_weight,
        sum(score * weight) as weighted_score,
        min(case when score is not null then weight_order end) as heaviest
    from judged
    group by customer_id, scheme, as_of_date

),

-- Customers whose counted weights are not the whole: only their points are shared again.
partly_counted as (

    select
        customer_id,
        scheme,
        as_of_date,
        counted_weight,
        heaviest,
        cast(
            round(cast(weighted_score as double) / cast(counted_weight as double), 6) as decimal(30, 12)
        ) as shared_total
    from counted
    where counted_weight <> 1

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
        judged.weight_order,
        judged.status,
        partly_counted.heaviest,
        partly_counted.shared_total,
        case
            when partly_counted.counted_weight is null and judged.short_weight is not null
                then cast(judged.score * judged.short_weight as decimal(30, 12))
            when partly_counted.counted_weight is null
                then cast(judged.score * judged.weight as decimal(30, 12))
            else cast(
                round(
                    cast(judged.score * judged.weight as double) / cast(partly_counted.counted_weight as double), 6
                ) as decimal(30, 12)
            )
        end as points
    from judged
    left join partly_counted
        on
            judged.customer_id = partly_counted.customer_id
            and judged.scheme = partly_counted.scheme
            and judged.as_of_date = partly_counted.as_of_date

),

lighter as (

    select
        customer_id,
        scheme,
        as_of_date,
        heaviest,
        sum(points) as points
    from shared
    where weight_order <> heaviest
    group by customer_id, scheme, as_of_date, heaviest

)

select
    shared.customer_id,
    shared.scheme,
    shared.dimension,
    shared.indicator,
    shared.as_of_date,
    shared.raw_value,
    shared.raw_level,
    shared.score,
    shared.weight_in_dimension,
    shared.weight,
    -- The heaviest indicator takes what rounding leaves over, so that the points add up to the rounded total.
    case
        when shared.level_by = 'cluster' then null
        when shared.weight_order = shared.heaviest
            then cast(shared.shared_total - coalesce(lighter.points, 0) as decimal(30, 12))
        else shared.points
    end as points,
    shared.status
from shared
left join lighter
    on
        shared.customer_id = lighter.customer_id
        and shared.scheme = lighter.scheme
        and shared.as_of_date = lighter.as_of_date
        and shared.weight_order = lighter.heaviest
