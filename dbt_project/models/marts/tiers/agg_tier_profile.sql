-- What the customers of a tier have in common, in numbers: mean and median of every indicator, against the mean over
-- all customers of the scheme. A customer without a value counts in neither mean.
with tiers as (

    select * from {{ ref('fct_customer_tiers') }}

),

indicator_values as (

    select * from {{ ref('int_indicator_values') }}

),

as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

dictionary as (

    select * from {{ source('rules', 'indicators') }}

),

tier_ranks as (

    select * from {{ source('rules', 'tiers') }}

),

sums as (

    select
        tiers.scheme,
        tiers.effective_tier as tier,
        tiers.as_of_date,
        indicator_values.indicator,
        count(*) as customers,
        count(indicator_values.raw_value) as customers_with_value,
        sum(indicator_values.raw_value) as value_total,
        {{ median_of('indicator_values.raw_value') }} as median_value
    from tiers
    inner join indicator_values
        on
            tiers.customer_id = indicator_values.customer_id
            and tiers.as_of_date = indicator_values.as_of_date
    where indicator_values.indicator in ({{ "'" ~ var('indicators') | join("', '") ~ "'" }})
    group by tiers.scheme, tiers.effective_tier, tiers.as_of_date, indicator_values.indicator

),

compared as (

    select
        scheme,
        tier,
        as_of_date,
        indicator,
        customers,
        customers_with_value,
        median_value,
        {{ mean_of('value_total', 'customers_with_value') }} as mean_value,
        {{ mean_of(
            'sum(value_total) over (partition by scheme, as_of_date, indicator)',
            'sum(customers_with_value) over (partition by scheme, as_of_date, indicator)'
        ) }} as scheme_mean
    from sums

)

select
    compared.scheme,
    compared.tier,
    compared.as_of_date,
    tier_ranks.tier_rank,
    compared.indicator,
    dictionary.label_en,
    dictionary.label_zh,
    dictionary.unit,
    cast(compared.customers as integer) as customers,
    cast(compared.customers_with_value as integer) as customers_with_value,
    compared.mean_value,
    compared.median_value,
    compared.scheme_mean,
    case
        when compared.scheme_mean > 0 and compared.mean_value >= 0
            then {{ ratio('compared.mean_value', 'compared.scheme_mean') }}
    end as index_to_scheme
from compared
inner join as_of_dates
    on compared.as_of_date = as_of_dates.as_of_date
inner join dictionary
    on
        as_of_dates.rules_version = dictionary.rules_version
        and compared.indicator = dictionary.indicator
left join tier_ranks
    on
        as_of_dates.rules_version = tier_ranks.rules_version
        and compared.scheme = tier_ranks.scheme
        and compared.tier = tier_ranks.tier
