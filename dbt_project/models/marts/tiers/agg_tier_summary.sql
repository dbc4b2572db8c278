-- The summary table: customers, spend and margin per tier. The margin is weighted by spend.
with tiers as (

    select * from {{ ref('fct_customer_tiers') }}

),

indicators as (

    select * from {{ ref('fct_customer_indicators') }}

),

labels as (

    select * from {{ ref('dim_tiers') }}

),

sums as (

    select
        tiers.scheme,
        tiers.effective_tier as tier,
        tiers.as_of_date,
        count(*) as customers,
        sum(indicators.annual_spend) as annual_spend,
        sum(case when indicators.profit_margin is not null then indicators.annual_spend end) as spend_with_margin,
        sum(indicators.annual_spend * indicators.profit_margin) as margin_times_spend
    from tiers
    inner join indicators
        on
            tiers.customer_id = indicators.customer_id
            and tiers.as_of_date = indicators.as_of_date
    group by tiers.scheme, tiers.effective_tier, tiers.as_of_date

),

shares as (

    select
        scheme,
        tier,
        as_of_date,
        customers,
        annual_spend,
        spend_with_margin,
        margin_times_spend,
        sum(customers) over (partition by scheme, as_of_date) as all_customers,
        sum(annual_spend) over (partition by scheme, as_of_date) as all_spend
    from sums

)

select
    shares.scheme,
    shares.tier,
    shares.as_of_date,
    labels.tier_rank,
    labels.label_en,
    labels.label_zh,
    cast(shares.customers as integer) as customers,
    {{ ratio('shares.customers', 'shares.all_customers') }} as customer_share,
    cast(shares.annual_spend as decimal(18, 2)) as annual_spend,
    {{ ratio('shares.annual_spend', 'shares.all_spend') }} as spend_share,
    {{ ratio('shares.margin_times_spend', 'shares.spend_with_margin') }} as average_margin,
    labels.strategy_en,
    labels.strategy_zh
from shares
left join labels
    on
        shares.scheme = labels.scheme
        and shares.tier = labels.tier
